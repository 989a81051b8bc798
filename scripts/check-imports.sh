#!/usr/bin/env bash
# check-imports.sh — checks that packages import only what these tables allow. Every other import
# fails, so adding a package or a library is an explicit decision here. Tests are not checked.
#
#   check-imports.sh [DIR]      the module in DIR, else this one
set -euo pipefail

cd "${1:-$(dirname "$0")/..}"

# package (paths below the module; * for any rest)   our packages that it may import
ours='
api                      -
api/client               -
models                   -
server/hosts             -
server/names             server/hosts
server/credentials       server/hosts
server/token             -
server/token/remote      server/hosts server/token
server/token/tokentest   -
server/mail              server/hosts server/names
server/config            server/hosts server/mail
server/web               -
server/web/*             -
server/problem           models
server/metrics           -
server/ratelimit         models server/hosts
server/audit             models server/problem server/metrics server/mail server/hosts
server/outbox            models server/problem server/metrics server/ratelimit server/mail server/names server/token server/credentials server/audit
server/sessions          models server/problem server/metrics server/token server/audit
server/accounts          models server/hosts server/problem server/metrics server/ratelimit server/names server/credentials server/token server/mail server/audit server/outbox server/sessions
server/django            models server/accounts
server                   api server/problem server/metrics server/accounts server/web server/web/* server/config server/hosts server/ratelimit models
server/servertest        *
server/servertest/mysqlproxy -
server/cmd/accountsd     *
scripts/*                *
'

# server/django opens a database with its own driver, because that is the database of another
# service. The package models does not know it.

# library (as a prefix)              packages that may import it
libraries='
gorm.io                              models
github.com/glebarez/sqlite           models
github.com/glebarez/go-sqlite        models
github.com/go-sql-driver/mysql       models server/django
github.com/pressly/goose             models
modernc.org/sqlite                   models
database/sql                         models server/django
golang.org/x/crypto                  server/credentials
github.com/golang-jwt/jwt            server/token
github.com/wneessen/go-mail          server/mail
github.com/caarlos0/env              server/config
github.com/gin-gonic/gin             api server
github.com/gin-contrib/cors          server
github.com/getkin/kin-openapi        api server
github.com/oapi-codegen              api api/client server
go.yaml.in/yaml                      api api/client server
github.com/prometheus                server
github.com/yuin/goldmark             server/web
net/http                             api api/client server server/token/remote server/web server/web/*
github.com/google/uuid               api api/client models server/token server/ratelimit server/audit server/outbox server/sessions server/accounts server
golang.org/x/net/idna                models server/names
golang.org/x/net/netutil             server
golang.org/x/text                    models server/names
golang.org/x/text/language           models server/accounts server/outbox
github.com/spf13/cobra               -
golang.org/x/term                    -
github.com/schollz/progressbar       -
'

# A package that may import all of ours may also import any library.

module=$(go list -m)
go list -f '{{.ImportPath}} {{.Name}}{{range .Imports}} {{.}}{{end}}' ./... |
  awk -v module="$module" -v ours="$ours" -v libraries="$libraries" '
    BEGIN {
      rows = split(ours, row, "\n")
      for (i = 1; i <= rows; i++) {
        if (split(row[i], word, " ") < 2) continue
        order[++packages] = word[1]
        sub(/^ *[^ ]+ +/, "", row[i])
        allowed[word[1]] = row[i]
      }
      rows = split(libraries, row, "\n")
      for (i = 1; i <= rows; i++) {
        if (split(row[i], word, " ") < 2) continue
        prefix[++prefixes] = word[1]
        sub(/^ *[^ ]+ +/, "", row[i])
        users[word[1]] = row[i]
      }
    }

    function fault(text) { print "  " text; faults++ }

    # listed reports whether path matches one of the patterns in list: words with an optional /* at
    # the end
    function listed(path, list,   n, word, i, stem) {
      n = split(list, word, " ")
      for (i = 1; i <= n; i++) {
        if (word[i] == "*" || word[i] == path) return 1
        stem = word[i]
        if (sub(/\*$/, "", stem) && index(path, stem) == 1) return 1
      }
      return 0
    }

    function row_of(path,   i) {
      for (i = 1; i <= packages; i++) if (order[i] == path) return path
      for (i = 1; i <= packages; i++) if (listed(path, order[i])) return order[i]
      return ""
    }

    # library_of returns the table row of the library: the longest prefix that ends at a path
    # element
    function library_of(path,   i, best) {
      best = ""
      for (i = 1; i <= prefixes; i++)
        if ((path == prefix[i] || index(path, prefix[i] "/") == 1) && length(prefix[i]) > length(best)) best = prefix[i]
      return best
    }

    {
      path = $1 == module ? "." : substr($1, length(module) + 2)
      if (("/" path "/" $2 "/") ~ /\/(utils?|commons?|helpers?|misc)\//)
        fault(path ": a package is named after what it does, not util, common, helper or misc")
      mine = row_of(path)
      if (mine == "") { fault(path ": this package is not in the table"); next }
      if (allowed[mine] == "*") next
      for (i = 3; i <= NF; i++) {
        if (index($i, module "/") == 1) {
          other = substr($i, length(module) + 2)
          if (!listed(other, allowed[mine])) fault(path " must not import " other)
          continue
        }
        library = library_of($i)
        if (library != "" && !listed(path, users[library])) fault(path " must not import " $i)
        # paths in the standard library have no dot in their first element
        if (library == "" && $i ~ /^[^\/]*\./) fault(path " imports " $i ", which is not in the table")
      }
    }

    END {
      if (faults) { print "check-imports: " faults " to mend (the tables are in scripts/check-imports.sh)"; exit 1 }
      print "check-imports: " NR " packages keep to the table"
    }'
