"""One table over every address of the project: who gets what. test_every_url_is_listed.py keeps it whole.

Outcomes are statuses, or `login` (sent to the sign-in page) and `gone` (sent to the start page with the words for a
row that does not exist). An address that names a row names one of sales: Alice leads sales, Bob is its member, Mallory
leads marketing, Charlie belongs to no team, root is an admin. Actions are posted with their dialog confirmed, forms
empty. On the page to ask a question is its own person's: an address names one of Bob's, and `login` is that page's own.
For the API `scopeless` is a key of sales without any scope, `other` marketing's key, `right` sales' own.
"""

from dataclasses import dataclass

ROLES = ["nobody", "charlie", "bob", "alice", "mallory", "root"]
KEYS = ["none", "malformed", "expired", "revoked", "scopeless", "other", "right"]

OPEN = """
GET   <home>                                                    302
GET   livez                                                     200
GET   readyz                                                    200
GET   metrics                                                   404
GET   api/v1/openapi.json                                       200
GET   api/v1/docs                                               200
"""

#     address                                                   scope     none bad  old  revd less othr right
API = """
POST  api/v1/generate                                           generate  401  401  401  401  403  404  200
GET   api/v1/generations                                        read      401  401  401  401  403  200  200
GET   api/v1/generations/<uuid:generation_id>                   read      401  401  401  401  403  404  200
POST  api/v1/generations/<uuid:generation_id>/execute           execute   401  401  401  401  403  404  200
POST  api/v1/generations/<uuid:generation_id>/feedback          generate  401  401  401  401  403  404  200
GET   api/v1/feedback                                           read      401  401  401  401  403  200  200
GET   api/v1/databases                                          read      401  401  401  401  403  200  200
GET   api/v1/databases/<str:name>/schema                        read      401  401  401  401  403  404  200
GET   api/v1/databases/<str:name>/suggestions?question=customers  read    401  401  401  401  403  404  200
GET   api/v1/usage                                              read      401  401  401  401  403  200  200
GET   api/v1/budget                                             read      401  401  401  401  403  200  200
GET   api/v1/me                                                 -         401  401  401  401  200  200  200
"""

#     address                                                   nobody  charlie bob     alice   mallory root
ADMIN = """
GET   admin/                                                    login   login   login   200     200     200
GET   admin/login/                                              200     200     200     302     302     302
POST  admin/logout/                                             302     302     302     200     200     200
GET   admin/logout/                                             302     302     302     405     405     405
GET   admin/password_change/                                    login   login   login   200     200     200
POST  admin/password_change/                                    login   login   login   200     200     200
GET   admin/password_change/done/                               login   login   login   200     200     200
GET   admin/jsi18n/                                             login   login   login   200     200     200
GET   admin/search/?s=a                                         login   login   login   200     200     200
GET   admin/<app_label>/                                        login   login   login   200     200     200
GET   admin/<url>                                               login   login   login   404     404     404
GET   admin/autocomplete/                                       login   login   login   403     403     403
GET   admin/autocomplete/?app_label=teams&model_name=membership&field_name=user   login login login 403 403 200
GET   admin/autocomplete/?app_label=teams&model_name=apikey&field_name=team       login login login 200 200 200

GET   admin/teams/team/                                         login   login   login   200     200     200
GET   admin/teams/team/add/                                     login   login   login   403     403     200
POST  admin/teams/team/add/                                     login   login   login   403     403     200
GET   admin/teams/team/<path:object_id>/                        login   login   login   302     302     302
GET   admin/teams/team/<path:object_id>/change/                 login   login   login   200     gone    200
POST  admin/teams/team/<path:object_id>/change/                 login   login   login   403     403     200
GET   admin/teams/team/<path:object_id>/delete/                 login   login   login   403     403     403
POST  admin/teams/team/<path:object_id>/delete/                 login   login   login   403     403     403
GET   admin/teams/team/<path:object_id>/history/                login   login   login   403     403     200

GET   admin/teams/apikey/                                       login   login   login   200     200     200
GET   admin/teams/apikey/add/                                   login   login   login   200     200     200
POST  admin/teams/apikey/add/                                   login   login   login   200     200     200
GET   admin/teams/apikey/<path:object_id>/                      login   login   login   302     302     302
GET   admin/teams/apikey/<path:object_id>/change/               login   login   login   200     gone    200
POST  admin/teams/apikey/<path:object_id>/change/               login   login   login   403     403     403
GET   admin/teams/apikey/<path:object_id>/delete/               login   login   login   403     403     403
POST  admin/teams/apikey/<path:object_id>/delete/               login   login   login   403     403     403
GET   admin/teams/apikey/<path:object_id>/history/              login   login   login   403     403     200
GET   admin/teams/apikey/<path:object_id>/revoke/               login   login   login   200     200     200
POST  admin/teams/apikey/<path:object_id>/revoke/               login   login   login   302     404     302

GET   admin/teams/budget/                                       login   login   login   200     200     200
GET   admin/teams/budget/add/                                   login   login   login   403     403     200
POST  admin/teams/budget/add/                                   login   login   login   403     403     200
GET   admin/teams/budget/<path:object_id>/                      login   login   login   302     302     302
GET   admin/teams/budget/<path:object_id>/change/               login   login   login   200     gone    200
POST  admin/teams/budget/<path:object_id>/change/               login   login   login   403     403     200
GET   admin/teams/budget/<path:object_id>/delete/               login   login   login   403     403     200
POST  admin/teams/budget/<path:object_id>/delete/               login   login   login   403     403     200
GET   admin/teams/budget/<path:object_id>/history/              login   login   login   403     403     200
GET   admin/teams/budget/<path:object_id>/top_up/               login   login   login   403     403     200
POST  admin/teams/budget/<path:object_id>/top_up/               login   login   login   403     403     200

GET   admin/spending/                                           login   login   login   200     200     200
GET   admin/spending/<slug:team_id>/                            login   login   login   200     404     200
GET   admin/spending/<slug:team_id>/charges.csv                 login   login   login   200     404     200
GET   admin/answer-cache/                                       login   login   login   200     200     200
GET   admin/answer-cache/<slug:team_id>/                        login   login   login   200     404     200
GET   admin/sessions/                                           login   login   login   200     200     200
GET   admin/savings/                                            login   login   login   200     200     200
GET   admin/savings/?team=atlantis                              login   login   login   200     404     200

GET   admin/teams/modellimit/                                   login   login   login   403     403     200
GET   admin/teams/modellimit/add/                               login   login   login   403     403     200
POST  admin/teams/modellimit/add/                               login   login   login   403     403     200
GET   admin/teams/modellimit/<path:object_id>/                  login   login   login   302     302     302
GET   admin/teams/modellimit/<path:object_id>/change/           login   login   login   403     403     200
POST  admin/teams/modellimit/<path:object_id>/change/           login   login   login   403     403     302
GET   admin/teams/modellimit/<path:object_id>/delete/           login   login   login   403     403     403
POST  admin/teams/modellimit/<path:object_id>/delete/           login   login   login   403     403     403
GET   admin/teams/modellimit/<path:object_id>/history/          login   login   login   403     403     200

GET   admin/teams/budgetcheck/                                  login   login   login   403     403     200
GET   admin/teams/budgetcheck/add/                              login   login   login   403     403     403
POST  admin/teams/budgetcheck/add/                              login   login   login   403     403     403
GET   admin/teams/budgetcheck/<path:object_id>/                 login   login   login   302     302     302
GET   admin/teams/budgetcheck/<path:object_id>/change/          login   login   login   403     403     200
POST  admin/teams/budgetcheck/<path:object_id>/change/          login   login   login   403     403     403
GET   admin/teams/budgetcheck/<path:object_id>/delete/          login   login   login   403     403     403
POST  admin/teams/budgetcheck/<path:object_id>/delete/          login   login   login   403     403     403
GET   admin/teams/budgetcheck/<path:object_id>/history/         login   login   login   403     403     200

GET   admin/teams/langfuseday/                                  login   login   login   200     200     200
GET   admin/teams/langfuseday/add/                              login   login   login   403     403     403
POST  admin/teams/langfuseday/add/                              login   login   login   403     403     403
GET   admin/teams/langfuseday/<path:object_id>/                 login   login   login   302     302     302
GET   admin/teams/langfuseday/<path:object_id>/change/          login   login   login   200     gone    200
POST  admin/teams/langfuseday/<path:object_id>/change/          login   login   login   403     403     403
GET   admin/teams/langfuseday/<path:object_id>/delete/          login   login   login   403     403     403
POST  admin/teams/langfuseday/<path:object_id>/delete/          login   login   login   403     403     403
GET   admin/teams/langfuseday/<path:object_id>/history/         login   login   login   403     403     200

GET   admin/teams/charge/                                       login   login   login   200     200     200
GET   admin/teams/charge/export.csv                             login   login   login   405     405     405
POST  admin/teams/charge/export.csv                             login   login   login   200     200     200
GET   admin/teams/charge/export.xlsx                            login   login   login   405     405     405
POST  admin/teams/charge/export.xlsx                            login   login   login   200     200     200
GET   admin/teams/charge/add/                                   login   login   login   403     403     403
POST  admin/teams/charge/add/                                   login   login   login   403     403     403
GET   admin/teams/charge/<path:object_id>/                      login   login   login   302     302     302
GET   admin/teams/charge/<path:object_id>/change/               login   login   login   200     gone    200
POST  admin/teams/charge/<path:object_id>/change/               login   login   login   403     403     403
GET   admin/teams/charge/<path:object_id>/delete/               login   login   login   403     403     403
POST  admin/teams/charge/<path:object_id>/delete/               login   login   login   403     403     403
GET   admin/teams/charge/<path:object_id>/history/              login   login   login   403     403     200
GET   admin/teams/charge/<path:object_id>/correct/              login   login   login   403     403     200
POST  admin/teams/charge/<path:object_id>/correct/              login   login   login   403     403     200

GET   admin/auth/user/                                          login   login   login   403     403     200
GET   admin/auth/user/add/                                      login   login   login   403     403     200
POST  admin/auth/user/add/                                      login   login   login   403     403     200
GET   admin/auth/user/<path:object_id>/                         login   login   login   302     302     302
GET   admin/auth/user/<path:object_id>/change/                  login   login   login   403     403     200
POST  admin/auth/user/<path:object_id>/change/                  login   login   login   403     403     200
GET   admin/auth/user/<path:object_id>/delete/                  login   login   login   403     403     200
POST  admin/auth/user/<path:object_id>/delete/                  login   login   login   403     403     200
GET   admin/auth/user/<path:object_id>/history/                 login   login   login   403     403     200
GET   admin/auth/user/<id>/password/                            login   login   login   403     403     200
POST  admin/auth/user/<id>/password/                            login   login   login   403     403     200

GET   admin/observability/price/                                login   login   login   403     403     200
GET   admin/observability/price/add/                            login   login   login   403     403     200
POST  admin/observability/price/add/                            login   login   login   403     403     200
GET   admin/observability/price/import/                         login   login   login   403     403     200
POST  admin/observability/price/import/                         login   login   login   403     403     200
GET   admin/observability/price/<path:object_id>/               login   login   login   302     302     302
GET   admin/observability/price/<path:object_id>/change/        login   login   login   403     403     200
POST  admin/observability/price/<path:object_id>/change/        login   login   login   403     403     200
GET   admin/observability/price/<path:object_id>/delete/        login   login   login   403     403     200
POST  admin/observability/price/<path:object_id>/delete/        login   login   login   403     403     200
GET   admin/observability/price/<path:object_id>/history/       login   login   login   403     403     200

GET   admin/observability/alert/                                login   login   login   200     200     200
GET   admin/observability/alert/add/                            login   login   login   403     403     403
POST  admin/observability/alert/add/                            login   login   login   403     403     403
GET   admin/observability/alert/<path:object_id>/               login   login   login   302     302     302
GET   admin/observability/alert/<path:object_id>/change/        login   login   login   200     gone    200
POST  admin/observability/alert/<path:object_id>/change/        login   login   login   403     403     403
GET   admin/observability/alert/<path:object_id>/delete/        login   login   login   403     403     403
POST  admin/observability/alert/<path:object_id>/delete/        login   login   login   403     403     403
GET   admin/observability/alert/<path:object_id>/history/       login   login   login   403     403     200
GET   admin/observability/alert/<path:object_id>/acknowledge/   login   login   login   200     200     200
POST  admin/observability/alert/<path:object_id>/acknowledge/   login   login   login   302     404     302

GET   admin/observability/alertchannel/                              login   login   login   403     403     200
GET   admin/observability/alertchannel/add/                          login   login   login   403     403     200
POST  admin/observability/alertchannel/add/                          login   login   login   403     403     200
GET   admin/observability/alertchannel/<path:object_id>/             login   login   login   302     302     302
GET   admin/observability/alertchannel/<path:object_id>/change/      login   login   login   403     403     200
POST  admin/observability/alertchannel/<path:object_id>/change/      login   login   login   403     403     200
GET   admin/observability/alertchannel/<path:object_id>/delete/      login   login   login   403     403     200
POST  admin/observability/alertchannel/<path:object_id>/delete/      login   login   login   403     403     200
GET   admin/observability/alertchannel/<path:object_id>/history/     login   login   login   403     403     200
GET   admin/observability/alertchannel/<path:object_id>/test/        login   login   login   403     403     200
POST  admin/observability/alertchannel/<path:object_id>/test/        login   login   login   403     403     302

GET   admin/observability/auditentry/                           login   login   login   200     200     200
GET   admin/observability/auditentry/add/                       login   login   login   403     403     403
POST  admin/observability/auditentry/add/                       login   login   login   403     403     403
GET   admin/observability/auditentry/<path:object_id>/          login   login   login   302     302     302
GET   admin/observability/auditentry/<path:object_id>/change/   login   login   login   200     gone    200
POST  admin/observability/auditentry/<path:object_id>/change/   login   login   login   403     403     403
GET   admin/observability/auditentry/<path:object_id>/delete/   login   login   login   403     403     403
POST  admin/observability/auditentry/<path:object_id>/delete/   login   login   login   403     403     403
GET   admin/observability/auditentry/<path:object_id>/history/  login   login   login   403     403     200

GET   admin/observability/trace/                                login   login   login   200     200     200
GET   admin/observability/trace/add/                            login   login   login   403     403     403
POST  admin/observability/trace/add/                            login   login   login   403     403     403
GET   admin/observability/trace/<path:object_id>/               login   login   login   302     302     302
GET   admin/observability/trace/<path:object_id>/change/        login   login   login   200     gone    200
POST  admin/observability/trace/<path:object_id>/change/        login   login   login   403     403     403
GET   admin/observability/trace/<path:object_id>/delete/        login   login   login   403     403     403
POST  admin/observability/trace/<path:object_id>/delete/        login   login   login   403     403     403
GET   admin/observability/trace/<path:object_id>/history/       login   login   login   403     403     200

GET   admin/observability/score/                                login   login   login   403     403     200
GET   admin/observability/score/add/                            login   login   login   403     403     403
POST  admin/observability/score/add/                            login   login   login   403     403     403
GET   admin/observability/score/<path:object_id>/               login   login   login   302     302     302
GET   admin/observability/score/<path:object_id>/change/        login   login   login   403     403     200
POST  admin/observability/score/<path:object_id>/change/        login   login   login   403     403     403
GET   admin/observability/score/<path:object_id>/delete/        login   login   login   403     403     403
POST  admin/observability/score/<path:object_id>/delete/        login   login   login   403     403     403
GET   admin/observability/score/<path:object_id>/history/       login   login   login   403     403     200

GET   admin/observability/schedule/                             login   login   login   403     403     200
GET   admin/observability/schedule/add/                         login   login   login   403     403     403
POST  admin/observability/schedule/add/                         login   login   login   403     403     403
GET   admin/observability/schedule/<path:object_id>/            login   login   login   302     302     302
GET   admin/observability/schedule/<path:object_id>/change/     login   login   login   403     403     200
POST  admin/observability/schedule/<path:object_id>/change/     login   login   login   403     403     200
GET   admin/observability/schedule/<path:object_id>/delete/     login   login   login   403     403     403
POST  admin/observability/schedule/<path:object_id>/delete/     login   login   login   403     403     403
GET   admin/observability/schedule/<path:object_id>/history/    login   login   login   403     403     200
GET   admin/observability/schedule/<path:object_id>/run_now/    login   login   login   403     403     200
POST  admin/observability/schedule/<path:object_id>/run_now/    login   login   login   403     403     302

GET   admin/observability/managedprompt/                           login   login   login   403     403     200
GET   admin/observability/managedprompt/add/                       login   login   login   403     403     403
POST  admin/observability/managedprompt/add/                       login   login   login   403     403     403
GET   admin/observability/managedprompt/<path:object_id>/          login   login   login   302     302     302
GET   admin/observability/managedprompt/<path:object_id>/change/   login   login   login   403     403     200
POST  admin/observability/managedprompt/<path:object_id>/change/   login   login   login   403     403     403
GET   admin/observability/managedprompt/<path:object_id>/delete/   login   login   login   403     403     403
POST  admin/observability/managedprompt/<path:object_id>/delete/   login   login   login   403     403     403
GET   admin/observability/managedprompt/<path:object_id>/history/  login   login   login   403     403     200

GET   admin/text2sql/database/                                  login   login   login   200     200     200
GET   admin/text2sql/database/add/                              login   login   login   403     403     200
POST  admin/text2sql/database/add/                              login   login   login   403     403     200
GET   admin/text2sql/database/<path:object_id>/                 login   login   login   302     302     302
GET   admin/text2sql/database/<path:object_id>/change/          login   login   login   200     gone    200
POST  admin/text2sql/database/<path:object_id>/change/          login   login   login   403     403     200
GET   admin/text2sql/database/<path:object_id>/delete/          login   login   login   403     403     403
POST  admin/text2sql/database/<path:object_id>/delete/          login   login   login   403     403     403
GET   admin/text2sql/database/<path:object_id>/history/         login   login   login   403     403     200
GET   admin/text2sql/database/<path:object_id>/test/            login   login   login   200     200     200
POST  admin/text2sql/database/<path:object_id>/test/            login   login   login   302     404     302
GET   admin/text2sql/database/<path:object_id>/sync/            login   login   login   200     200     200
POST  admin/text2sql/database/<path:object_id>/sync/            login   login   login   302     404     302
GET   admin/text2sql/database/<path:object_id>/draft/           login   login   login   200     200     200
POST  admin/text2sql/database/<path:object_id>/draft/           login   login   login   200     200     200
GET   admin/text2sql/database/<path:object_id>/forget/          login   login   login   403     403     200
POST  admin/text2sql/database/<path:object_id>/forget/          login   login   login   403     403     302

GET   admin/text2sql/glossary/                                  login   login   login   200     200     200
GET   admin/text2sql/glossary/add/                              login   login   login   200     200     200
POST  admin/text2sql/glossary/add/                              login   login   login   200     200     200
GET   admin/text2sql/glossary/<path:object_id>/                 login   login   login   302     302     302
GET   admin/text2sql/glossary/<path:object_id>/change/          login   login   login   200     gone    200
POST  admin/text2sql/glossary/<path:object_id>/change/          login   login   login   302     gone    302
GET   admin/text2sql/glossary/<path:object_id>/delete/          login   login   login   403     403     403
POST  admin/text2sql/glossary/<path:object_id>/delete/          login   login   login   403     403     403
GET   admin/text2sql/glossary/<path:object_id>/history/         login   login   login   403     403     200
GET   admin/text2sql/glossary/<path:object_id>/take_up/         login   login   login   200     200     200
POST  admin/text2sql/glossary/<path:object_id>/take_up/         login   login   login   302     404     302

GET   admin/text2sql/schemanote/                                login   login   login   403     403     200
GET   admin/text2sql/schemanote/names/                          login   login   login   403     403     404
GET   admin/text2sql/schemanote/add/                            login   login   login   403     403     200
POST  admin/text2sql/schemanote/add/                            login   login   login   403     403     200
GET   admin/text2sql/schemanote/<path:object_id>/               login   login   login   302     302     302
GET   admin/text2sql/schemanote/<path:object_id>/change/        login   login   login   403     403     200
POST  admin/text2sql/schemanote/<path:object_id>/change/        login   login   login   403     403     302
GET   admin/text2sql/schemanote/<path:object_id>/delete/        login   login   login   403     403     200
POST  admin/text2sql/schemanote/<path:object_id>/delete/        login   login   login   403     403     200
GET   admin/text2sql/schemanote/<path:object_id>/history/       login   login   login   403     403     200

GET   admin/text2sql/generation/                                login   login   login   200     200     200
GET   admin/text2sql/generation/export.csv                      login   login   login   405     405     405
POST  admin/text2sql/generation/export.csv                      login   login   login   200     200     200
GET   admin/text2sql/generation/export.xlsx                     login   login   login   405     405     405
POST  admin/text2sql/generation/export.xlsx                     login   login   login   200     200     200
GET   admin/text2sql/generation/add/                            login   login   login   403     403     403
POST  admin/text2sql/generation/add/                            login   login   login   403     403     403
GET   admin/text2sql/generation/<path:object_id>/               login   login   login   302     302     302
GET   admin/text2sql/generation/<path:object_id>/change/        login   login   login   200     gone    200
POST  admin/text2sql/generation/<path:object_id>/change/        login   login   login   403     403     403
GET   admin/text2sql/generation/<path:object_id>/delete/        login   login   login   403     403     403
POST  admin/text2sql/generation/<path:object_id>/delete/        login   login   login   403     403     403
GET   admin/text2sql/generation/<path:object_id>/history/       login   login   login   403     403     200
GET   admin/text2sql/generation/<path:object_id>/forget/        login   login   login   200     200     200
POST  admin/text2sql/generation/<path:object_id>/forget/        login   login   login   302     404     302

GET   admin/text2sql/evaluationrun/                             login   login   login   200     200     200
GET   admin/text2sql/evaluationrun/add/                         login   login   login   403     403     403
POST  admin/text2sql/evaluationrun/add/                         login   login   login   403     403     403
GET   admin/text2sql/evaluationrun/<path:object_id>/            login   login   login   302     302     302
GET   admin/text2sql/evaluationrun/<path:object_id>/change/     login   login   login   200     gone    200
POST  admin/text2sql/evaluationrun/<path:object_id>/change/     login   login   login   403     403     403
GET   admin/text2sql/evaluationrun/<path:object_id>/delete/     login   login   login   403     403     403
POST  admin/text2sql/evaluationrun/<path:object_id>/delete/     login   login   login   403     403     403
GET   admin/text2sql/evaluationrun/<path:object_id>/history/    login   login   login   403     403     200

GET   admin/text2sql/evaluationitem/                            login   login   login   200     200     200
GET   admin/text2sql/evaluationitem/add/                        login   login   login   403     403     403
POST  admin/text2sql/evaluationitem/add/                        login   login   login   403     403     403
GET   admin/text2sql/evaluationitem/<path:object_id>/           login   login   login   302     302     302
GET   admin/text2sql/evaluationitem/<path:object_id>/change/    login   login   login   200     gone    200
POST  admin/text2sql/evaluationitem/<path:object_id>/change/    login   login   login   403     403     403
GET   admin/text2sql/evaluationitem/<path:object_id>/delete/    login   login   login   403     403     403
POST  admin/text2sql/evaluationitem/<path:object_id>/delete/    login   login   login   403     403     403
GET   admin/text2sql/evaluationitem/<path:object_id>/history/   login   login   login   403     403     200

GET   admin/text2sql/evaluationplan/                              login   login   login   200     200     200
GET   admin/text2sql/evaluationplan/add/                          login   login   login   200     200     200
POST  admin/text2sql/evaluationplan/add/                          login   login   login   200     200     200
GET   admin/text2sql/evaluationplan/<path:object_id>/             login   login   login   302     302     302
GET   admin/text2sql/evaluationplan/<path:object_id>/change/      login   login   login   200     gone    200
POST  admin/text2sql/evaluationplan/<path:object_id>/change/      login   login   login   200     gone    200
GET   admin/text2sql/evaluationplan/<path:object_id>/delete/      login   login   login   403     403     403
POST  admin/text2sql/evaluationplan/<path:object_id>/delete/      login   login   login   403     403     403
GET   admin/text2sql/evaluationplan/<path:object_id>/history/     login   login   login   403     403     200

GET   admin/text2sql/example/                                     login   login   login   200     200     200
GET   admin/text2sql/example/add/                                 login   login   login   200     200     200
POST  admin/text2sql/example/add/                                 login   login   login   200     200     200
GET   admin/text2sql/example/<path:object_id>/                    login   login   login   302     302     302
GET   admin/text2sql/example/<path:object_id>/change/             login   login   login   200     gone    200
POST  admin/text2sql/example/<path:object_id>/change/             login   login   login   403     403     403
GET   admin/text2sql/example/<path:object_id>/delete/             login   login   login   403     403     403
POST  admin/text2sql/example/<path:object_id>/delete/             login   login   login   403     403     403
GET   admin/text2sql/example/<path:object_id>/history/            login   login   login   403     403     200
GET   admin/text2sql/example/<path:object_id>/switch_off/         login   login   login   200     200     200
POST  admin/text2sql/example/<path:object_id>/switch_off/         login   login   login   302     404     302
GET   admin/text2sql/example/<path:object_id>/switch_on/          login   login   login   200     200     200
POST  admin/text2sql/example/<path:object_id>/switch_on/          login   login   login   302     404     302

GET   admin/feedback/feedback/                                  login   login   login   200     200     200
GET   admin/feedback/feedback/export.csv                        login   login   login   405     405     405
POST  admin/feedback/feedback/export.csv                        login   login   login   200     200     200
GET   admin/feedback/feedback/export.xlsx                       login   login   login   405     405     405
POST  admin/feedback/feedback/export.xlsx                       login   login   login   200     200     200
GET   admin/feedback/feedback/add/                              login   login   login   403     403     403
POST  admin/feedback/feedback/add/                              login   login   login   403     403     403
GET   admin/feedback/feedback/<path:object_id>/                 login   login   login   302     302     302
GET   admin/feedback/feedback/<path:object_id>/change/          login   login   login   200     gone    200
POST  admin/feedback/feedback/<path:object_id>/change/          login   login   login   403     403     403
GET   admin/feedback/feedback/<path:object_id>/delete/          login   login   login   403     403     403
POST  admin/feedback/feedback/<path:object_id>/delete/          login   login   login   403     403     403
GET   admin/feedback/feedback/<path:object_id>/history/         login   login   login   403     403     200
GET   admin/feedback/feedback/<path:object_id>/approve/         login   login   login   200     404     200
POST  admin/feedback/feedback/<path:object_id>/approve/         login   login   login   200     404     200
GET   admin/feedback/feedback/<path:object_id>/correct/         login   login   login   200     404     200
POST  admin/feedback/feedback/<path:object_id>/correct/         login   login   login   200     404     200
GET   admin/feedback/feedback/<path:object_id>/reject/          login   login   login   200     404     200
POST  admin/feedback/feedback/<path:object_id>/reject/          login   login   login   200     404     200
GET   admin/feedback/feedback/<path:object_id>/compare/         login   login   login   200     404     200
POST  admin/feedback/feedback/<path:object_id>/compare/         login   login   login   200     404     200
GET   admin/feedback-analysis/                                  login   login   login   200     200     200

"""

#     address                                                                     nobody charlie bob alice mallory root
ASK = """
GET     ask/                                                                      login login 302 302 302 200
GET     ask/login/                                                                200   200   302 302 302 302
POST    ask/login/                                                                200   200   200 200 200 200
GET     ask/logout/                                                               405   405   405 405 405 405
POST    ask/logout/                                                               302   302   302 302 302 302
GET     ask/add/                                                                  login login 404 200 200 200
POST    ask/add/                                                                  login login 404 200 200 200
GET     ask/<slug:team_id>/<slug:name>/                                           login login 200 200 404 200
GET     ask/<slug:team_id>/<slug:name>/reading/                                   login login 404 200 404 200
POST    ask/<slug:team_id>/<slug:name>/reading/                                   login login 404 302 404 302
GET     ask/<slug:team_id>/<slug:name>/reading/state                              401   401   404 200 404 200
GET     ask/<slug:team_id>/<slug:name>/starters/                                  login login 404 200 404 200
POST    ask/<slug:team_id>/<slug:name>/starters/                                  login login 404 302 404 302
POST    ask/<slug:team_id>/<slug:name>/questions                                  401   401   200 200 404 200
POST    ask/<slug:team_id>/<slug:name>/check                                      401   401   200 200 404 200
GET     ask/<slug:team_id>/<slug:name>/tables                                     401   401   200 200 404 200
GET     ask/<slug:team_id>/<slug:name>/history                                    401   401   200 200 404 200
GET     ask/<slug:team_id>/<slug:name>/budget                                     401   401   200 200 404 200
POST    ask/<slug:team_id>/<slug:name>/saved                                      401   401   200 200 404 200
DELETE  ask/<slug:team_id>/<slug:name>/saved/<uuid:saved_id>                      401   401   200 404 404 404
POST    ask/<slug:team_id>/<slug:name>/generations/<uuid:generation_id>/execute   401   401   200 404 404 404
POST    ask/<slug:team_id>/<slug:name>/generations/<uuid:generation_id>/feedback  401   401   200 404 404 404
"""


@dataclass(frozen=True)
class Row:
    method: str
    address: str
    query: str
    scope: str
    outcomes: dict[str, str]  # by role or by kind of key

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def rows(text: str, columns: list[str], *, scoped: bool = False) -> list[Row]:
    parsed = []
    for line in filter(None, text.splitlines()):
        method, address, *outcomes = line.split()
        address, _, query = address.partition("?")
        scope = outcomes.pop(0) if scoped else "-"
        parsed.append(Row(method, address, query, scope, dict(zip(columns, outcomes, strict=True))))
    return parsed


OPEN_ROWS = rows(OPEN, ["anybody"])
API_ROWS = rows(API, KEYS, scoped=True)
ADMIN_ROWS = rows(ADMIN, ROLES)
ASK_ROWS = rows(ASK, ROLES)
