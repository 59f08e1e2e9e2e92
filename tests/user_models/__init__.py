"""Four kinds of user model, each in a process with settings of its own: see test_user_models.py."""
