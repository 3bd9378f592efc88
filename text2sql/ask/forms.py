from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User

from teams.services.members import user_principal
from text2sql.ask.door import may_ask


class SignInForm(AuthenticationForm):
    """Whoever belongs to no team is told the same as for a wrong password."""

    def confirm_login_allowed(self, user: User) -> None:
        if not user.is_active or not may_ask(user_principal(user)):
            raise self.get_invalid_login_error()
