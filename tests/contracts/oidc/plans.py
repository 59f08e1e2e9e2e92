"""The OpenID Foundation's conformance suite for providers: its plans and their modules, as of August 2026.

Dynamic registration, front-channel logout, session management and sign-in that a third party begins are listed too,
so that the table in the documentation (reference/oidc) leaves nothing out.
"""

BASIC = "Basic"
IMPLICIT = "Implicit"
HYBRID = "Hybrid"
CONFIG = "Config"
RP_LOGOUT = "RP-Initiated Logout"
BACK_CHANNEL = "Back-Channel Logout"
FRONT_CHANNEL = "Front-Channel Logout"
SESSION = "Session Management"
THIRD_PARTY = "3rd-Party-Initiated Login"
DYNAMIC = "Dynamic"

#: The response types of a plan. Form Post has the same modules, with response_mode=form_post.
RESPONSE_TYPES = {
    BASIC: ("code",),
    IMPLICIT: ("id_token", "id_token token"),
    HYBRID: ("code id_token", "code token", "code id_token token"),
}

_ALL = (BASIC, IMPLICIT, HYBRID)
_WITH_CODE = (BASIC, HYBRID)

#: Module -> the plans that it belongs to.
MODULES = {
    "oidcc-server": _ALL,
    "oidcc-response-type-missing": _ALL,
    "oidcc-idtoken-signature": _ALL,
    "oidcc-idtoken-unsigned": (BASIC,),
    "oidcc-userinfo-get": _ALL,
    "oidcc-userinfo-post-header": _ALL,
    "oidcc-userinfo-post-body": _ALL,
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow": _WITH_CODE,
    "oidcc-ensure-request-without-nonce-fails": (IMPLICIT, HYBRID),
    "oidcc-scope-profile": _ALL,
    "oidcc-scope-email": _ALL,
    "oidcc-scope-address": _ALL,
    "oidcc-scope-phone": _ALL,
    "oidcc-scope-all": _ALL,
    "oidcc-alternate-happy-flow": _ALL,
    "oidcc-display-page": _ALL,
    "oidcc-display-popup": _ALL,
    "oidcc-prompt-login": _ALL,
    "oidcc-prompt-none-not-logged-in": _ALL,
    "oidcc-prompt-none-logged-in": _ALL,
    "oidcc-max-age-1": _ALL,
    "oidcc-max-age-10000": _ALL,
    "oidcc-ensure-request-with-unknown-parameter-succeeds": _ALL,
    "oidcc-id-token-hint": _ALL,
    "oidcc-login-hint": _ALL,
    "oidcc-ui-locales": _ALL,
    "oidcc-claims-locales": _ALL,
    "oidcc-ensure-request-with-acr-values-succeeds": _ALL,
    "oidcc-codereuse": _WITH_CODE,
    "oidcc-codereuse-30seconds": _WITH_CODE,
    "oidcc-ensure-registered-redirect-uri": _ALL,
    "oidcc-ensure-post-request-succeeds": (BASIC,),
    "oidcc-server-client-secret-post": _WITH_CODE,
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": _ALL,
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported": _ALL,
    "oidcc-ensure-request-object-with-redirect-uri": _ALL,
    "oidcc-claims-essential": _ALL,
    "oidcc-refresh-token": _WITH_CODE,
    "oidcc-ensure-request-with-valid-pkce-succeeds": _WITH_CODE,
    "oidcc-discovery-endpoint-verification": (CONFIG,),
    "oidcc-rp-initiated-logout-discovery-endpoint-verification": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-modified-id-token-hint": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-bad-id-token-hint": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-no-id-token-hint": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-no-params": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-no-state": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-only-state": (RP_LOGOUT,),
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": (RP_LOGOUT,),
    "oidcc-backchannel-logout-discovery-endpoint-verification": (BACK_CHANNEL,),
    "oidcc-backchannel-rp-initiated-logout": (BACK_CHANNEL,),
    "oidcc-frontchannel-logout-discovery-endpoint-verification": (FRONT_CHANNEL,),
    "oidcc-frontchannel-rp-initiated-logout": (FRONT_CHANNEL,),
    "oidcc-session-management-discovery-endpoint-verification": (SESSION,),
    "oidcc-session-management-rp-initiated-logout": (SESSION,),
    "oidcc-3rd_party-init-login": (THIRD_PARTY,),
    "oidcc-3rd_party-init-login-nohttps": (THIRD_PARTY,),
    "oidcc-idtoken-rs256": (DYNAMIC,),
    "oidcc-userinfo-rs256": (DYNAMIC,),
    "oidcc-ensure-redirect-uri-in-authorization-request": (DYNAMIC,),
    "oidcc-redirect-uri-query-OK": (DYNAMIC,),
    "oidcc-redirect-uri-query-mismatch": (DYNAMIC,),
    "oidcc-redirect-uri-query-added": (DYNAMIC,),
    "oidcc-redirect-uri-regfrag": (DYNAMIC,),
    "oidcc-registration-logo-uri": (DYNAMIC,),
    "oidcc-registration-policy-uri": (DYNAMIC,),
    "oidcc-registration-tos-uri": (DYNAMIC,),
    "oidcc-registration-jwks-uri": (DYNAMIC,),
    "oidcc-registration-sector-uri": (DYNAMIC,),
    "oidcc-registration-sector-bad": (DYNAMIC,),
    "oidcc-server-rotate-keys": (DYNAMIC,),
    "oidcc-refresh-token-rp-key-rotation": (DYNAMIC,),
    "oidcc-request-uri-unsigned": (DYNAMIC,),
    "oidcc-request-uri-signed-rs256": (DYNAMIC,),
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds": (DYNAMIC,),
}
