#!/usr/bin/env bash
# Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in.
#
# `accountd connect` is the daemon's socket on standard input and output. With jq at hand, `member` is `jq -r`; and a
# script that needs no more than a login is better off with `accountd login --json`.
set -euo pipefail

coproc daemon { trap "" INT; accountd connect; } # which has to outlive a Ctrl-C, to cancel the login
ask() { printf '{"id":%s,"method":"%s","params":%s}\n' "$1" "$2" "$3" >&"${daemon[1]}"; }
member() { [[ $line =~ \"$1\":\"([^\"]*)\" ]] && printf '%s' "${BASH_REMATCH[1]}"; }

ask 0 initialize '{"clientInfo":{"name":"example","version":"1"},"capabilities":{"extensions":{"accountd":{}}}}'
ask 1 account/login/start '{"type":"chatgptDeviceCode"}'
login=
trap '[[ -z $login ]] || ask 3 account/login/cancel "{\"loginId\":\"$login\"}"' INT

while read -r line <&"${daemon[0]}" || (($? > 128)); do # a signal ends a read, and no more
    case $line in
        *'"id":1,'*'"result"'*)
            login=$(member loginId)
            echo "Open $(member verificationUrl) and type $(member userCode)"
            ;;
        *'"account/login/progress"'*"\"$login\""*) echo "The login is $(member state)" ;;
        *'"account/login/completed"'*"\"$login\""*'"success":false'*)
            echo "Nobody new is logged in: $(member error)" >&2
            exit 1
            ;;
        *'"account/updated"'*) ask 2 account/read '{}' ;;
        *'"account":null'*)
            echo "Nobody is logged in"
            exit
            ;;
        *'"account":'*) echo "Logged in as $(member email || member type)" ;;
        *'"error":{'*)
            echo "The daemon refuses: $(member message)" >&2
            exit 1
            ;;
    esac
done
