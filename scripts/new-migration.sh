#!/usr/bin/env bash
# new-migration.sh writes the next migration, for SQLite and for MySQL: it adds a column to a table.
# The column has a default, because servers of the previous release insert rows without it during a
# rolling upgrade.
#
#   new-migration.sh TABLE COLUMN TYPE     TYPE is VARCHAR(n), BIGINT, BOOLEAN or DATETIME
#
# A DATETIME can be NULL. The others are NOT NULL and have the default '', 0 or FALSE.
set -euo pipefail

cd "$(dirname "$0")/.."
[ $# = 3 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
table=$1 column=$2 type=$3
[[ $table$column =~ ^[a-z_]+$ ]] || { echo "new-migration: a name consists of a-z and _" >&2; exit 2; }

# shellcheck disable=SC2034 # ${!dialect} uses the variables
case $type in
  'VARCHAR('*')') mysql="$type NOT NULL DEFAULT ''" sqlite="TEXT NOT NULL DEFAULT ''" ;;
  BIGINT) mysql='BIGINT NOT NULL DEFAULT 0' sqlite='INTEGER NOT NULL DEFAULT 0' ;;
  BOOLEAN) mysql='BOOLEAN NOT NULL DEFAULT FALSE' sqlite='BOOLEAN NOT NULL DEFAULT FALSE' ;;
  DATETIME) mysql='DATETIME(6) NULL' sqlite='DATETIME NULL' ;;
  *) echo "new-migration: the type is VARCHAR(n), BIGINT, BOOLEAN or DATETIME, not $type" >&2; exit 2 ;;
esac

last=$(find models/migrations/sqlite -name '*.sql' -exec basename {} \; | sort | tail -1)
number=$((10#${last%%_*} + 1))
name=$(printf '%05d_%s_%s.sql' $number "$table" "$column")
for dialect in mysql sqlite; do
  printf -- '-- +goose Up\nALTER TABLE %s ADD COLUMN %s %s;\n' "$table" "$column" "${!dialect}" >"models/migrations/$dialect/$name"
  echo "models/migrations/$dialect/$name"
done

# The tests of older schemas undo the newest migrations.
sed -i "/^var undo = /a\\	$number: {\"ALTER TABLE $table DROP COLUMN $column\"}," models/migrate_test.go
