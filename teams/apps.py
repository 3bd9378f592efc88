from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class TeamsConfig(AppConfig):
    default = True
    name = "teams"
    verbose_name = "Teams"


class SiteConfig(admin_apps.AdminConfig):
    """Django's admin with our site: admins and team leads come in, nobody else."""

    default = False
    default_site = "teams.site.TeamAdminSite"
