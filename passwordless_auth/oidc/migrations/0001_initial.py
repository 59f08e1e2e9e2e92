
import django.db.models.deletion
import django.utils.timezone
import passwordless_auth.derivation
import uuid
from django.conf import settings
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('oauth2_provider', '0022_refreshtoken_token_family_index'),
        ('passwordless_auth', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
        migrations.swappable_dependency(oauth2_settings.REFRESH_TOKEN_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ClientSettings',
            fields=[
                ('application', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='passwordless_settings', serialize=False, to=oauth2_settings.APPLICATION_MODEL)),
                ('kind', models.CharField(choices=[('web', 'web application'), ('spa', 'single-page application'), ('native', 'native application'), ('m2m', 'machine')], default='web', max_length=8)),
                ('grants', models.JSONField(blank=True, default=list)),
                ('response_types', models.JSONField(blank=True, default=list)),
                ('requires_pkce', models.BooleanField(default=True, verbose_name='requires PKCE')),
                ('auth_method', models.CharField(choices=[('client_secret_basic', 'secret, in the Authorization header'), ('client_secret_post', 'secret, in the body'), ('none', 'none: a public client'), ('private_key_jwt', 'assertion signed by the client’s key'), ('client_secret_jwt', 'assertion signed with the secret')], default='client_secret_basic', max_length=32, verbose_name='authentication at the token endpoint')),
                ('jwks', models.JSONField(blank=True, null=True)),
                ('secret_digest', models.CharField(blank=True, default='', editable=False, max_length=160)),
                ('secret_of', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('secret_sealed', models.TextField(blank=True, default='', editable=False)),
                ('id_token_alg', models.CharField(blank=True, default='RS256', max_length=8, verbose_name='signature of ID tokens')),
                ('subject_type', models.CharField(blank=True, choices=[('', 'as the site’s setting says'), ('public', 'the same for all clients'), ('pairwise', 'another for each client'), ('auth0', 'as Auth0’s passwordless connections have it')], default='', max_length=8)),
                ('sector_identifier', models.CharField(blank=True, default='', max_length=255)),
                ('refresh', models.CharField(choices=[('offline_access', 'for who asks for offline_access'), ('always', 'always')], default='offline_access', max_length=16, verbose_name='refresh tokens')),
                ('connections', models.JSONField(blank=True, default=list)),
                ('message', models.CharField(blank=True, choices=[('', 'link and code'), ('link', 'link alone'), ('code', 'code alone')], default='', max_length=8)),
                ('code_lifetime', models.PositiveIntegerField(blank=True, null=True)),
                ('code_length', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('code_tries', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('minimum_level', models.CharField(blank=True, choices=[('recovered', 'recovered'), ('single', 'one factor'), ('multi', 'two factors'), ('phr', 'phishing-resistant')], default='', max_length=16)),
                ('backchannel_logout_uri', models.CharField(blank=True, default='', max_length=2000)),
                ('backchannel_logout_session_required', models.BooleanField(default=False)),
                ('initiate_login_uri', models.CharField(blank=True, default='', max_length=2000)),
                ('client_uri', models.CharField(blank=True, default='', max_length=2000, verbose_name='home page')),
                ('logo_uri', models.CharField(blank=True, default='', max_length=2000, verbose_name='logo')),
                ('policy_uri', models.CharField(blank=True, default='', max_length=2000, verbose_name='privacy policy')),
                ('tos_uri', models.CharField(blank=True, default='', max_length=2000, verbose_name='terms of service')),
                ('accent_color', models.CharField(blank=True, default='', max_length=7)),
            ],
            options={
                'verbose_name': 'client settings',
                'verbose_name_plural': 'client settings',
            },
        ),
        migrations.CreateModel(
            name='PairwiseSalt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sealed', models.TextField(editable=False)),
            ],
            options={
                'verbose_name': 'salt of pairwise subjects',
                'verbose_name_plural': 'salts of pairwise subjects',
            },
        ),
        migrations.CreateModel(
            name='SigningKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kid', models.CharField(max_length=64, unique=True)),
                ('alg', models.CharField(max_length=8)),
                ('newest_of', models.CharField(blank=True, editable=False, max_length=8, null=True, unique=True)),
                ('public', models.JSONField()),
                ('private_sealed', models.TextField(editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('signs_from', models.DateTimeField(default=django.utils.timezone.now)),
                ('published_until', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'signing key',
                'verbose_name_plural': 'signing keys',
            },
        ),
        migrations.CreateModel(
            name='Authorization',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=passwordless_auth.derivation.new_public_id, editable=False, max_length=22, unique=True)),
                ('family', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('scope', models.TextField(blank=True, default='')),
                ('nonce', models.TextField(blank=True, default='')),
                ('claims', models.JSONField(blank=True, default=dict)),
                ('auth_time', models.PositiveBigIntegerField(blank=True, null=True)),
                ('amr', models.JSONField(blank=True, default=list)),
                ('acr', models.CharField(blank=True, default='', max_length=16)),
                ('sid', models.CharField(blank=True, default='', max_length=22)),
                ('code_digest', models.CharField(blank=True, editable=False, max_length=64, null=True, unique=True)),
                ('code_expires_at', models.DateTimeField(blank=True, null=True)),
                ('code_spent_at', models.DateTimeField(blank=True, null=True)),
                ('redirect_uri', models.TextField(blank=True, default='')),
                ('code_challenge', models.CharField(blank=True, default='', max_length=128)),
                ('created_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=oauth2_settings.APPLICATION_MODEL)),
                ('sign_in', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='authorizations', to='passwordless_auth.signin')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='passwordless_authorizations', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'authorization',
                'verbose_name_plural': 'authorizations',
            },
        ),
        migrations.CreateModel(
            name='AccessTokenOrigin',
            fields=[
                ('access_token', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='origin', serialize=False, to=oauth2_settings.ACCESS_TOKEN_MODEL)),
                ('refresh_token', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='origin', to=oauth2_settings.REFRESH_TOKEN_MODEL)),
                ('authorization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='passwordless_auth_oidc.authorization')),
            ],
        ),
        migrations.CreateModel(
            name='AuthorizationRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=passwordless_auth.derivation.new_public_id, editable=False, max_length=22, unique=True)),
                ('browser_digest', models.CharField(editable=False, max_length=64)),
                ('params', models.JSONField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('chosen', models.CharField(blank=True, default='', max_length=32)),
                ('chosen_at', models.DateTimeField(blank=True, null=True)),
                ('allowed', models.CharField(blank=True, default='', max_length=32)),
                ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=oauth2_settings.APPLICATION_MODEL)),
            ],
            options={
                'verbose_name': 'authorization request',
                'verbose_name_plural': 'authorization requests',
            },
        ),
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.TextField(blank=True, default='')),
                ('granted_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=oauth2_settings.APPLICATION_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='passwordless_consents', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'consent',
                'verbose_name_plural': 'consents',
                'constraints': [models.UniqueConstraint(fields=('user', 'application'), name='passwordless_one_consent')],
            },
        ),
    ]
