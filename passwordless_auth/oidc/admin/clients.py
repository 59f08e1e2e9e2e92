"""Clients: one form for what is in two tables, a secret that is shown once, and what to paste."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from ...admin.acts import recently_proven
from ...decorators import to_step_up
from ...flows import operator
from ...models import Level
from ...models.event import record
from ...requester import Requester
from ..forms import ClientForm
from ..models import ClientSettings
from . import snippets

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic for the type checker only
else:
    ModelAdmin = admin.ModelAdmin

AuthMethod = ClientSettings.AuthMethod

COLLAPSED = ("collapse",)


class KindFilter(admin.SimpleListFilter):
    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*ClientSettings.Kind.choices, ("none", gettext_lazy("not saved here yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "none":
            return queryset.filter(passwordless_settings=None)
        return queryset.filter(passwordless_settings__kind=self.value()) if self.value() else queryset


class OriginFilter(admin.SimpleListFilter):
    title = gettext_lazy("origin")
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ORIGINS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(registration_source=self.value()) if self.value() else queryset


class ConsentFilter(admin.SimpleListFilter):
    title = gettext_lazy("consent")
    parameter_name = "consent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("asked", gettext_lazy("people are asked")), ("skipped", gettext_lazy("people are not asked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        skipped = {"asked": False, "skipped": True}.get(self.value() or "")
        return queryset if skipped is None else queryset.filter(skip_authorization=skipped)


#: Where a client came from, by django-oauth-toolkit's names.
ORIGINS: Final = {
    "manual": gettext_lazy("made here"),
    "dcr": gettext_lazy("registered itself"),
    "cimd": gettext_lazy("its metadata document"),
}


class ClientAdmin(ModelAdmin):
    """For Applications. A host that has more columns subclasses it, with a subclass of ClientForm, and names it in
    ``OAUTH2_PROVIDER["APPLICATION_ADMIN_CLASS"]``."""

    form = ClientForm
    view_on_site = False  # where django-oauth-toolkit's own URLs are: they may be nowhere
    change_form_template = "admin/passwordless_auth_oidc/client.html"
    change_list_template = "admin/passwordless_auth_oidc/clients.html"
    list_display = ("shown_name", "shown_id", "kind", "asks", "came_from", "since")
    list_display_links = ("shown_name",)
    list_filter = (KindFilter, OriginFilter, ConsentFilter)
    list_select_related = ("passwordless_settings",)
    search_fields = ("name", "client_id")
    search_help_text = gettext_lazy("A part of the name or of the client id")
    ordering = ("name", "pk")
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("kind", "name", "client_id", "redirect_uris", "post_logout_redirect_uris", "first_party")}),
        (
            gettext_lazy("How people sign in for it"),
            {
                "classes": COLLAPSED,
                "fields": (
                    "connections",
                    "message",
                    "code_lifetime",
                    "code_length",
                    "code_tries",
                    "minimum_level",
                ),
            },
        ),
        (
            gettext_lazy("Looks"),
            {"classes": COLLAPSED, "fields": ("logo_uri", "accent_color", "client_uri", "policy_uri", "tos_uri")},
        ),
        (
            gettext_lazy("More addresses"),
            {
                "classes": COLLAPSED,
                "fields": (
                    "allowed_origins",
                    "backchannel_logout_uri",
                    "initiate_login_uri",
                ),
            },
        ),
        (
            gettext_lazy("Tokens and keys"),
            {
                "classes": COLLAPSED,
                "fields": ("auth_method", "jwks", "id_token_alg", "subject_type", "refresh", "grants"),
            },
        ),
        (
            gettext_lazy("Weaker, for older clients"),
            {"classes": COLLAPSED, "fields": ("response_types", "no_pkce")},
        ),
    )

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("passwordless_auth/admin.css",)}

    # -- the list

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def shown_name(self, row: Any) -> str:
        return str(row)

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, row: Any) -> str:
        return str(ClientSettings.of(row).get_kind_display())

    @admin.display(description=gettext_lazy("client id"), ordering="client_id")
    def shown_id(self, row: Any) -> str:
        return str(row.client_id)

    @admin.display(description=gettext_lazy("consent"))
    def asks(self, row: Any) -> str:
        return _("not asked") if row.skip_authorization else _("asked")

    @admin.display(description=gettext_lazy("origin"))
    def came_from(self, row: Any) -> str:
        return str(ORIGINS.get(row.registration_source, row.registration_source))

    @admin.display(description=gettext_lazy("made at"), ordering="created")
    def since(self, row: Any) -> datetime:
        return row.created  # type: ignore[no-any-return]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Clients"), **(extra_context or {})})

    # -- the form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        # SECURITY: where a client's codes go is where its people's accounts go.
        if request.method == "POST" and not recently_proven(request):
            return to_step_up(request, Level.SINGLE)
        title = _("Add a client") if object_id is None else _("Client")
        return super().changeform_view(request, object_id, form_url, {"title": title, **(extra_context or {})})

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None and obj.pk is not None:
            context["snippets"] = snippets.of(obj)
            if _has_secret(obj) and self.has_change_permission(request, obj):
                context["new_secret_url"] = self._url("new_secret", obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: ClientForm, change: bool) -> None:
        form.write(operator=operator.named(request.user), requester=Requester.from_request(request))
        obj.new_secret = form.new_secret

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        return self._show_secret(request, obj) or response

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        response = super().response_change(request, obj)
        return self._show_secret(request, obj) or response

    # -- the secret

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.new_secret_view)
        return [path("<path:object_id>/new-secret/", view, name=self._name("new_secret")), *super().get_urls()]

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _url(self, page: str, obj: Any) -> str:
        return reverse(f"admin:{self._name(page)}", args=[quote(obj.pk)], current_app=self.admin_site.name)

    @sensitive_variables()
    def _show_secret(self, request: HttpRequest, obj: Any) -> HttpResponse | None:
        """The page with the secret that was made just now, in answer to the form itself: it is kept nowhere, neither in
        a session nor in a cookie of messages. ``None``: there is none to show."""
        secret = getattr(obj, "new_secret", "")
        if not secret:
            return None
        return self._page(request, obj, secret=secret)

    def new_secret_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """GET asks; POST makes another secret, shows it, and the old one is worth nothing any more."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_change_permission(request, obj) or not _has_secret(obj):
            raise PermissionDenied
        if not recently_proven(request):
            return to_step_up(request, Level.SINGLE)
        if request.method != "POST":
            return self._page(request, obj)
        form = self.form(instance=obj)
        form.renew_secret(operator=operator.named(request.user), requester=Requester.from_request(request))
        self.log_change(request, obj, _("New secret"))
        return self._page(request, obj, secret=form.new_secret)

    @sensitive_variables()
    def _page(self, request: HttpRequest, obj: Any, *, secret: str = "") -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("The secret of “{name}”").format(name=obj) if secret else _("New secret"),
            "opts": self.opts,
            "client": obj,
            "secret": secret,
            "snippets": snippets.of(obj) if secret else [],
            "back": self._url("change", obj),
        }
        return TemplateResponse(request, "admin/passwordless_auth_oidc/secret.html", context)

    # -- deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Clients go with all that they were given: it is not listed token by token, and needs no right of its own."""
        clients = list(objs)
        allowed = all(self.has_delete_permission(request, each) for each in clients)
        counts = {self.opts.verbose_name_plural: len(clients)}
        return [str(each) for each in clients], counts, set() if allowed else {self.opts.verbose_name}, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._note_deleted(request, [obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._note_deleted(request, queryset)
        super().delete_queryset(request, queryset)

    def _note_deleted(self, request: HttpRequest, clients: Iterable[Any]) -> None:
        by, requester = operator.named(request.user), Requester.from_request(request)
        for each in clients:
            record("client_removed", requester=requester, client_id=each.client_id, operator=by.name[:150])


def _has_secret(application: Any) -> bool:
    """Whether the client has a secret to know. (One that was there before us may be public and have one.)"""
    method = ClientSettings.of(application).auth_method
    return method in {AuthMethod.BASIC, AuthMethod.POST, AuthMethod.SECRET_JWT}
