"""Every page of the desk, and what a person may ask on it. Names have no namespace: there is one site."""

from django.urls import path

from bots.live.views import live_parts
from bots.views.bot import bot, bot_controls
from bots.views.charts import bot_candles, bot_equity
from bots.views.controls import (
    archive_bot,
    close_position,
    flatten_bot,
    pause_bot,
    run_bot,
    start_bot,
)
from bots.views.dashboard import bots, dashboard, equity_json, equity_table
from bots.views.decision import decision
from bots.views.exits import bot_exits
from bots.views.halting import halt, resume
from bots.views.limits_page import (
    account_limits,
    change_limits,
    copy_limits,
    delete_limits,
    give_limits,
    limits,
    rename_limits,
    risk_profile,
    try_limits,
)
from bots.views.models_page import (
    change_model,
    check_model,
    delete_key,
    delete_model,
    models,
    models_budget,
    new_model,
    replace_key,
)
from bots.views.new_bot import new_bot, new_bot_check
from bots.views.prompts_page import (
    change_prompt,
    compare_prompt,
    delete_prompt,
    new_prompt,
    prompt,
    prompts,
)

urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("equity.json", equity_json, name="dashboard_equity"),
    path("equity/", equity_table, name="equity_table"),
    path("halt/", halt, name="halt"),
    path("resume/", resume, name="resume"),
    path("bots/", bots, name="bots"),
    path("bots/new/", new_bot, name="new_bot"),
    path("bots/new/check/", new_bot_check, name="new_bot_check"),
    path("bots/<uuid:bot_id>/", bot, name="bot"),
    path("bots/<uuid:bot_id>/decisions/<uuid:cycle_id>/", decision, name="decision"),
    path("bots/<uuid:bot_id>/equity.json", bot_equity, name="bot_equity"),
    path("bots/<uuid:bot_id>/candles.json", bot_candles, name="bot_candles"),
    path("bots/<uuid:bot_id>/controls/", bot_controls, name="bot_controls"),
    path("bots/<uuid:bot_id>/exits/", bot_exits, name="bot_exits"),
    path("bots/<uuid:bot_id>/start/", start_bot, name="start_bot"),
    path("bots/<uuid:bot_id>/pause/", pause_bot, name="pause_bot"),
    path("bots/<uuid:bot_id>/run/", run_bot, name="run_bot"),
    path("bots/<uuid:bot_id>/flatten/", flatten_bot, name="flatten_bot"),
    path("bots/<uuid:bot_id>/close/", close_position, name="close_position"),
    path("bots/<uuid:bot_id>/archive/", archive_bot, name="archive_bot"),
    path("models/", models, name="models"),
    path("models/new/", new_model, name="new_model"),
    path("models/budget/", models_budget, name="models_budget"),
    path("models/<int:profile_id>/", change_model, name="change_model"),
    path("models/<int:profile_id>/test/", check_model, name="check_model"),
    path("models/<int:profile_id>/delete/", delete_model, name="delete_model"),
    path("models/keys/<int:key_id>/", replace_key, name="replace_key"),
    path("models/keys/<int:key_id>/delete/", delete_key, name="delete_key"),
    path("prompts/", prompts, name="prompts"),
    path("prompts/<int:template_id>/", prompt, name="prompt"),
    path("prompts/<int:template_id>/compare/", compare_prompt, name="compare_prompt"),
    path("prompts/<int:template_id>/new/", new_prompt, name="new_prompt"),
    path("prompts/<int:template_id>/change/", change_prompt, name="change_prompt"),
    path("prompts/<int:template_id>/delete/", delete_prompt, name="delete_prompt"),
    path("limits/", limits, name="limits"),
    path("limits/account/", account_limits, name="account_limits"),
    path("limits/<int:risk_id>/", risk_profile, name="risk_profile"),
    path("limits/<int:risk_id>/copy/", copy_limits, name="copy_limits"),
    path("limits/<int:risk_id>/change/", change_limits, name="change_limits"),
    path("limits/<int:risk_id>/rename/", rename_limits, name="rename_limits"),
    path("limits/<int:risk_id>/delete/", delete_limits, name="delete_limits"),
    path("limits/<int:risk_id>/try/", try_limits, name="try_limits"),
    path("limits/<int:risk_id>/give/", give_limits, name="give_limits"),
    path("live/<slug:kind>/", live_parts, name="live_parts"),
    path("live/<slug:kind>/<str:key>/", live_parts, name="live_parts"),
]
