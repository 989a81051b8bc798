"""A Django REST Framework service as small as it can be: what the two articles that this product replaces have in common.

Article A makes its tokens with PyJWT by hand, under two secrets; article B takes simplejwt's, under SECRET_KEY.
"""

import os
from datetime import timedelta

# With a comma and a hash in it, as get_random_secret_key and people make them.
SECRET_KEY = "django-insecure-p#5k,2m=x0n9(w!v3r@p8q&7t6y5u4i3o2p1a0s9d"
REFRESH_TOKEN_SECRET = "another secret, for the refresh tokens that are made by hand"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "account",
    "old",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ["MYSQL_HOST"],
        "PORT": os.environ["MYSQL_PORT"],
        "USER": os.environ["MYSQL_USER"],
        "PASSWORD": os.environ["MYSQL_PASSWORD"],
        "NAME": os.environ["OLD_DATABASE"],
        "OPTIONS": {"charset": "utf8mb4"},
    }
}

# Every one that Django has, so that make_password can be asked for each.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.BCryptPasswordHasher",
    "old.hashers.ScryptPasswordHasher",
]

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}

USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
