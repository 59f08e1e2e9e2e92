from django.urls import include, path

urlpatterns = [
    path("anymail/", include("anymail.urls")),
    path("", include("example_project.urls")),
]
