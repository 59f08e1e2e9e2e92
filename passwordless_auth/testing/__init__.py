"""For the tests of host projects. Not loaded by the app itself."""
