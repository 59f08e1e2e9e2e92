from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

PASSWORD = "correct horse battery staple"

LOGIN = '<!doctype html><html lang="en"><title>Login</title><link rel="icon" href="data:,"><form method="post"><button>Log in</button></form></html>'
AFTER = """<!doctype html><html lang="en"><title>Welcome</title><link rel="icon" href="data:,"><h1>Welcome</h1>
<script type="module" src="/static/passwordless_auth/passkey-upgrade.js" data-passkey-upgrade="/account/passkeys/"></script>
</html>"""


@csrf_exempt
def password_login(request):
    if request.method != "POST":
        return HttpResponse(LOGIN)
    if not User.objects.filter(username="with-password").exists():
        User.objects.create_user("with-password", "grace@example.org", PASSWORD)
    login(request, authenticate(request, username="with-password", password=PASSWORD))
    return HttpResponseRedirect("/welcome/")


urlpatterns = [
    path("password/", password_login),
    path("welcome/", lambda request: HttpResponse(AFTER)),
    path("", include("example_project.urls")),
]
