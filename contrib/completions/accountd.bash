# Completion of accountd for bash. Made by `make contrib` from the parser of the command line.

_accountd() {
    local cur=${COMP_WORDS[COMP_CWORD]} at=accountd gone=' ' flag='' expects='' paths='' word i
    local -a offered=()

    # Where the words so far lead. bash breaks them at = and :, so that `--format=raw` is three.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == : ]]; then
            expects=$flag
            continue
        elif [[ $word == = ]]; then
            continue
        elif [[ $expects ]]; then
            expects=''
            continue
        fi
        flag=''
        case "$at $word" in
            'accountd -h' | 'accountd --help') gone+='-h --help ' ;;
            'accountd login -h' | 'accountd login --help') gone+='-h --help ' ;;
            'accountd login --browser' | 'accountd login --with-api-key') gone+='--browser --with-api-key ' ;;
            'accountd logout -h' | 'accountd logout --help') gone+='-h --help ' ;;
            'accountd status -h' | 'accountd status --help') gone+='-h --help ' ;;
            'accountd status --format' | 'accountd status --json') gone+='--format --json ' ;;
            'accountd usage -h' | 'accountd usage --help') gone+='-h --help ' ;;
            'accountd token -h' | 'accountd token --help') gone+='-h --help ' ;;
            'accountd watch -h' | 'accountd watch --help') gone+='-h --help ' ;;
            'accountd connect -h' | 'accountd connect --help') gone+='-h --help ' ;;
            'accountd app-server -h' | 'accountd app-server --help') gone+='-h --help ' ;;
            'accountd serve -h' | 'accountd serve --help') gone+='-h --help ' ;;
            'accountd service -h' | 'accountd service --help') gone+='-h --help ' ;;
            'accountd sandbox -h' | 'accountd sandbox --help') gone+='-h --help ' ;;
            'accountd schema -h' | 'accountd schema --help') gone+='-h --help ' ;;
            'accountd doctor -h' | 'accountd doctor --help') gone+='-h --help ' ;;
            *' -'*) gone+="$word " ;;
        esac
        case "$at $word" in
            'accountd login' | \
            'accountd logout' | \
            'accountd status' | \
            'accountd usage' | \
            'accountd token' | \
            'accountd watch' | \
            'accountd connect' | \
            'accountd app-server' | \
            'accountd serve' | \
            'accountd service' | \
            'accountd sandbox' | \
            'accountd schema' | \
            'accountd doctor')
                at="$at $word" ;;
            'accountd login --socket' | \
            'accountd logout --socket' | \
            'accountd status --format' | \
            'accountd status --socket' | \
            'accountd usage --socket' | \
            'accountd token --min-valid' | \
            'accountd token --format' | \
            'accountd token --socket' | \
            'accountd watch --socket' | \
            'accountd connect --socket' | \
            'accountd app-server --listen' | \
            'accountd app-server --socket' | \
            'accountd serve --listen' | \
            'accountd serve --token-socket' | \
            'accountd serve --log-level' | \
            'accountd serve --log-format' | \
            'accountd serve --exit-when-idle' | \
            'accountd sandbox --port' | \
            'accountd sandbox --home' | \
            'accountd sandbox --approve-after' | \
            'accountd sandbox --authorize' | \
            'accountd sandbox --delay' | \
            'accountd sandbox --script' | \
            'accountd schema --out' | \
            'accountd doctor --socket')
                flag=$word expects=$word ;;
        esac
    done
    [[ $cur == [=:] ]] && cur=''

    if [[ $expects ]]; then
        case "$at $expects" in
            'accountd login --socket') paths=file ;;
            'accountd logout --socket') paths=file ;;
            'accountd status --format') offered+=(text json prometheus) ;;
            'accountd status --socket') paths=file ;;
            'accountd usage --socket') paths=file ;;
            'accountd token --format') offered+=(raw json env header curl) ;;
            'accountd token --socket') paths=file ;;
            'accountd watch --socket') paths=file ;;
            'accountd connect --socket') paths=file ;;
            'accountd app-server --socket') paths=file ;;
            'accountd serve --log-level') offered+=(debug info warning error) ;;
            'accountd serve --log-format') offered+=(text json journald) ;;
            'accountd sandbox --home') paths=folder ;;
            'accountd sandbox --authorize') offered+=(ask approve deny not_entitled no_code server_error) ;;
            'accountd sandbox --script') paths=file ;;
            'accountd schema --out') paths=folder ;;
            'accountd doctor --socket') paths=file ;;
        esac
    else
        case $at in
            accountd) offered+=(login logout status usage token watch connect app-server serve service sandbox schema doctor) ;;
            'accountd service') offered+=(install uninstall status) ;;
        esac
        # Options where one is begun, and where there is nothing else to type.
        if [[ $cur == -* || ${#offered[@]} -eq 0 ]]; then
            case $at in
                accountd) offered+=(--help --version) ;;
                'accountd login') offered+=(--help --browser --with-api-key --no-browser --qr --copy --json --socket --no-start) ;;
                'accountd logout') offered+=(--help --forget --socket --no-start) ;;
                'accountd status') offered+=(--help --format --json --socket --no-start) ;;
                'accountd usage') offered+=(--help --json --socket --no-start) ;;
                'accountd token') offered+=(--help --min-valid --format --socket --no-start) ;;
                'accountd watch') offered+=(--help --json --socket --no-start) ;;
                'accountd connect') offered+=(--help --socket --no-start) ;;
                'accountd app-server') offered+=(--help --listen --stdio --socket --no-start) ;;
                'accountd serve') offered+=(--help --listen --token-socket --log-level --log-format --no-audit-log --exit-when-idle) ;;
                'accountd service') offered+=(--help --dry-run) ;;
                'accountd sandbox') offered+=(--help --port --home --approve-after --deny --expire --disabled --authorize --delay --script) ;;
                'accountd schema') offered+=(--help --out) ;;
                'accountd doctor') offered+=(--help --json --socket) ;;
            esac
        fi
    fi

    COMPREPLY=()
    for word in "${offered[@]}"; do
        if [[ $word == "$cur"* && $gone != *" $word "* ]]; then
            COMPREPLY+=("$(printf %q "$word")")
        fi
    done
    case $paths in
        # readline knows best of blanks, quotes and tildes in them; bash 3.2 has no way to ask it.
        file) compopt -o default 2>/dev/null || _accountd_paths -f ;;
        folder) compopt -o dirnames 2>/dev/null || _accountd_paths -d ;;
    esac
    return 0
}

_accountd_paths() {
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen "$1" -- "$cur")
}

complete -F _accountd accountd
