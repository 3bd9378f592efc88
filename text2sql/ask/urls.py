from django.urls import path

from text2sql.ask.databases import AddPage, ReadingPage, ReadingView, StartersPage
from text2sql.ask.executions import ExecuteView
from text2sql.ask.pages import AskPage, HomePage, SignInPage, SignOutPage
from text2sql.ask.questions import CheckView, QuestionView
from text2sql.ask.sides import BudgetView, HistoryView, RemoveView, SaveView, TablesView

DATABASE = "<slug:team_id>/<slug:name>/"

urlpatterns = [
    path("", HomePage.as_view(), name="ask"),
    path("login/", SignInPage.as_view(), name="ask-sign-in"),
    path("logout/", SignOutPage.as_view(), name="ask-sign-out"),
    path("add/", AddPage.as_view(), name="ask-add"),
    path(DATABASE, AskPage.as_view(), name="ask-page"),
    path(DATABASE + "reading/", ReadingPage.as_view(), name="ask-reading"),
    path(DATABASE + "reading/state", ReadingView.as_view(), name="ask-reading-state"),
    path(DATABASE + "starters/", StartersPage.as_view(), name="ask-starters"),
    path(DATABASE + "questions", QuestionView.as_view(), name="ask-question"),
    path(DATABASE + "check", CheckView.as_view(), name="ask-check"),
    path(DATABASE + "tables", TablesView.as_view(), name="ask-tables"),
    path(DATABASE + "history", HistoryView.as_view(), name="ask-history"),
    path(DATABASE + "budget", BudgetView.as_view(), name="ask-budget"),
    path(DATABASE + "saved", SaveView.as_view(), name="ask-save"),
    path(DATABASE + "saved/<uuid:saved_id>", RemoveView.as_view(), name="ask-remove"),
    path(DATABASE + "generations/<uuid:generation_id>/execute", ExecuteView.as_view(), name="ask-execute"),
]
