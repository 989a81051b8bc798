"""A minimal Django REST Framework service with the common parts of the two articles that this product replaces.

Article A signs its tokens with PyJWT and two secrets. Article B uses those of simplejwt, signed with SECRET_KEY.
"""

import os
from datetime import timedelta

# Contains a comma and a hash sign, like keys made by get_random_secret_key or by hand.
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

# All hashers of Django, so that make_password can use each.
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
