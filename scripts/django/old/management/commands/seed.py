"""Creates users and tokens like the old service, and prints them as JSON for the proof."""

import json
from datetime import datetime, timedelta

import jwt
from account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.tokens import RefreshToken

HASHERS = ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"]


class PairWithName(TokenObtainPairSerializer):
    """Adds a claim as simplejwt's documentation describes. The blacklist then contains another token than the client has."""

    @classmethod
    def get_token(cls, user):
        token = super().get_token(user)
        token["name"] = user.username
        return token


def by_hand(user, secret, lifetime):
    """Article A's generate_access_token and generate_refresh_token."""
    now = datetime.utcnow()
    return jwt.encode({"user_id": user.id, "exp": now + lifetime, "iat": now}, secret, algorithm="HS256")


def tokens(user, n):
    """Returns a refresh token and an access token of each kind; n makes them differ."""
    simple = RefreshToken.for_user(user)
    return {
        "simplejwt": str(simple),
        "simplejwt with claims": str(PairWithName.get_token(user)),
        "by hand": by_hand(user, settings.REFRESH_TOKEN_SECRET, timedelta(days=7, seconds=-n)),
        "access of simplejwt": str(simple.access_token),
        "access by hand": by_hand(user, settings.SECRET_KEY, timedelta(minutes=5)),
    }


def revoked(user):
    """Returns tokens that the old service rejects: logged out, logged out with an added claim, and rotated."""
    out = RefreshToken.for_user(user)
    named = PairWithName.get_token(user)
    rotated = RefreshToken.for_user(user)
    serializer = TokenRefreshSerializer(data={"refresh": str(rotated)})
    serializer.is_valid(raise_exception=True)
    twice = serializer.validated_data["refresh"]  # simplejwt does not record rotated tokens when it issues them
    for raw in str(out), str(named), twice:
        RefreshToken(raw).blacklist()
    return [str(out), str(named), str(rotated), twice]


class Command(BaseCommand):
    def handle(self, *args, **options):
        model, made = get_user_model(), []
        for i, hasher in enumerate(HASHERS + ["unusable", "inactive", "revoked"]):
            name = "old_" + hasher
            password = None if hasher == "unusable" else "the old password of " + hasher
            algorithm = hasher if hasher in HASHERS else "default"
            user = model.objects.create(
                username=name, email=name + "@example.com", first_name="Zoë", last_name="Old " + hasher,
                password=make_password(password, hasher=algorithm), is_active=hasher != "inactive",
                is_staff=hasher == "argon2", is_superuser=hasher == "scrypt",
            )
            proved = hasher != "scrypt"  # the superuser's address is not verified
            EmailAddress.objects.create(user=user, email=user.email.upper(), verified=proved, primary=True)
            made.append({
                "id": user.id, "username": name, "email": user.email, "hasher": hasher, "password": password or "", "stored": user.password,
                "role": user.is_staff or user.is_superuser, "proved": proved,
                "for cookies": tokens(user, 2 * i), "for bodies": tokens(user, 2 * i + 1),
                "revoked": revoked(user) if hasher == "revoked" else [],
            })
        self.stdout.write(json.dumps({"secrets": [settings.SECRET_KEY, settings.REFRESH_TOKEN_SECRET], "users": made}))
