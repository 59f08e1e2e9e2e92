from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from example_project import views

urlpatterns = [
    # 6. The sixth line of passwordless_auth: its pages, at the root of the site.
    path("", include("passwordless_auth.urls")),
    # That of its OpenID provider; discovery has to be at the root, too.
    path("", include("passwordless_auth.oidc.urls")),
    path("", views.home, name="home"),
    path("members/", views.members, name="members"),
    path("members/recent/", views.recent, name="recent"),
    path("admin/", admin.site.urls),
    path("language/", include("django.conf.urls.i18n")),
]

if settings.INBOX:
    urlpatterns += [path("inbox/", include("example_project.inbox.urls"))]
