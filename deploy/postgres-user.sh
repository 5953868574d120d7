#!/bin/sh
# Run once by the database's image, when its volume is new: the user of `serve`, `work` and `log seal`, who may become what `hub_app` may and is nobody
# by itself. `migrate` logs in as the owner.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$(cat /run/secrets/service_password)" <<'SQL'
create role hub_app nologin noinherit;
create role hub_service login password :'password' in role hub_app;
SQL
