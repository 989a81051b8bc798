# unpacked-server.sh — sourced by get-mariadb.sh and get-mysql97.sh.
# shellcheck shell=bash

# write_server_wrapper DIR SERVER ARGS... writes DIR/mysqld, which runs SERVER (a path inside
# DIR/root) with the libraries unpacked with it. The host may be another release, so the wrapper
# also uses the unpacked loader, and no library of the host. ARGS precede the caller's arguments;
# the word ROOT in them becomes the path of DIR/root.
write_server_wrapper() {
  local dir=$1 server=$2 loader libs arg
  shift 2
  loader=$(cd "$dir/root" && find . -type f -name 'ld-linux-*.so.[0-9]' | sed 's|^\./||' | head -n 1)
  # shellcheck disable=SC2016 # $root is expanded by the wrapper
  libs=$(cd "$dir/root" && find . -maxdepth 3 -type d -path '*/lib/*-linux-gnu*' | sed 's|^\.|$root|' | paste -sd: -)
  if [ -z "$loader" ] || [ ! -f "$dir/root/$server" ]; then
    echo "unpacked-server: $dir/root holds no $server with its loader" >&2
    return 1
  fi
  cat >"$dir/mysqld" <<W
#!/bin/sh
# written by scripts/unpacked-server.sh: the server unpacked in this folder, with its own libraries
root=\$(cd "\$(dirname "\$0")/root" && pwd)
# --no-defaults is valid only as the first argument
if [ "\${1:-}" = --no-defaults ]; then shift; fi
exec "\$root/$loader" --library-path "$libs" "\$root/$server" --no-defaults$(for arg; do printf ' "%s"' "${arg/ROOT/\$root}"; done) "\$@"
W
  chmod 755 "$dir/mysqld"
}
