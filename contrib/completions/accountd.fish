# Completion of accountd for fish. Made by `make contrib` from the parser of the command line.

# True where the words so far lead to the command $argv[1], and none of the options behind it is among them.
function __accountd_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l at accountd
    set -l given
    set -l is_value 0
    for word in $words
        if test $is_value -eq 1
            set is_value 0
            continue
        end
        set -a given (string replace -r '=.*' '' -- $word)
        switch "$at $word"
            case \
                'accountd login' \
                'accountd logout' \
                'accountd status' \
                'accountd usage' \
                'accountd token' \
                'accountd watch' \
                'accountd connect' \
                'accountd app-server' \
                'accountd serve' \
                'accountd service' \
                'accountd sandbox' \
                'accountd schema' \
                'accountd doctor'
                set at "$at $word"
            case \
                'accountd login --socket' \
                'accountd logout --socket' \
                'accountd status --format' \
                'accountd status --socket' \
                'accountd usage --socket' \
                'accountd token --min-valid' \
                'accountd token --format' \
                'accountd token --socket' \
                'accountd watch --socket' \
                'accountd connect --socket' \
                'accountd app-server --listen' \
                'accountd app-server --socket' \
                'accountd serve --listen' \
                'accountd serve --token-socket' \
                'accountd serve --log-level' \
                'accountd serve --log-format' \
                'accountd serve --exit-when-idle' \
                'accountd sandbox --port' \
                'accountd sandbox --home' \
                'accountd sandbox --approve-after' \
                'accountd sandbox --authorize' \
                'accountd sandbox --delay' \
                'accountd sandbox --script' \
                'accountd schema --out' \
                'accountd doctor --socket'
                set is_value 1
        end
    end
    if test $is_value -eq 1
        set -e given[-1] # which is being completed
    end
    for option in $argv[2..-1]
        contains -- $option $given; and return 1
    end
    test "$at" = $argv[1]
end

complete -c accountd -f

# accountd
complete -c accountd -n '__accountd_at accountd' -a login -d 'log in with ChatGPT, or with an API key'
complete -c accountd -n '__accountd_at accountd' -a logout -d 'log out, for every client on this machine'
complete -c accountd -n '__accountd_at accountd' -a status -d 'say who is logged in'
complete -c accountd -n '__accountd_at accountd' -a usage -d 'show how much of the rate limits is used'
complete -c accountd -n '__accountd_at accountd' -a token -d 'print an access token that is good for a while'
complete -c accountd -n '__accountd_at accountd' -a watch -d 'say what happens to the account and to logins'
complete -c accountd -n '__accountd_at accountd' -a connect -d 'connect standard input and output to the daemon'
complete -c accountd -n '__accountd_at accountd' -a app-server -d 'connect in the place of `codex app-server`'
complete -c accountd -n '__accountd_at accountd' -a serve -d 'run the daemon in the foreground'
complete -c accountd -n '__accountd_at accountd' -a service -d 'have systemd or launchd start the daemon'
complete -c accountd -n '__accountd_at accountd' -a sandbox -d 'serve a make-believe issuer, to try things out'
complete -c accountd -n '__accountd_at accountd' -a schema -d 'write the protocol as JSON Schema'
complete -c accountd -n '__accountd_at accountd' -a doctor -d 'look for what is wrong, and say what to do'
complete -c accountd -n '__accountd_at accountd -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at accountd --version' -l version -d 'show program\'s version number and exit'

# accountd login
complete -c accountd -n '__accountd_at \'accountd login\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd login\' --browser --with-api-key' -l browser -d 'log in with a browser on this machine, without a code'
complete -c accountd -n '__accountd_at \'accountd login\' --with-api-key --browser' -l with-api-key -d 'log in with an OpenAI API key, read from stdin'
complete -c accountd -n '__accountd_at \'accountd login\' --no-browser' -l no-browser -d 'with --browser: open none, only print the address'
complete -c accountd -n '__accountd_at \'accountd login\' --qr' -l qr -d 'show the page\'s address as a QR code too'
complete -c accountd -n '__accountd_at \'accountd login\' --copy' -l copy -d 'copy the code to the clipboard'
complete -c accountd -n '__accountd_at \'accountd login\' --json' -l json -d 'print one JSON object for each event'
complete -c accountd -n '__accountd_at \'accountd login\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd login\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd logout
complete -c accountd -n '__accountd_at \'accountd logout\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd logout\' --forget' -l forget -d 'log out on this machine only: do not revoke the login at the issuer'
complete -c accountd -n '__accountd_at \'accountd logout\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd logout\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd status
complete -c accountd -n '__accountd_at \'accountd status\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd status\' --format --json' -l format -r -f -a 'text json prometheus' -d 'for people, for programs, or for Prometheus'
complete -c accountd -n '__accountd_at \'accountd status\' --json --format' -l json -d 'print one JSON object instead'
complete -c accountd -n '__accountd_at \'accountd status\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd status\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd usage
complete -c accountd -n '__accountd_at \'accountd usage\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd usage\' --json' -l json -d 'print one JSON object instead'
complete -c accountd -n '__accountd_at \'accountd usage\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd usage\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd token
complete -c accountd -n '__accountd_at \'accountd token\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd token\' --min-valid' -l min-valid -r -f -d 'how long it must be good for at least, at most 24h: 90, 90s, 5m, 1h (default: 5m)'
complete -c accountd -n '__accountd_at \'accountd token\' --format' -l format -r -f -a 'raw json env header curl' -d 'how to print it: raw, json, env, header, curl (default: raw)'
complete -c accountd -n '__accountd_at \'accountd token\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd token\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd watch
complete -c accountd -n '__accountd_at \'accountd watch\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd watch\' --json' -l json -d 'print one JSON object for each event'
complete -c accountd -n '__accountd_at \'accountd watch\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd watch\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd connect
complete -c accountd -n '__accountd_at \'accountd connect\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd connect\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd connect\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd app-server
complete -c accountd -n '__accountd_at \'accountd app-server\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd app-server\' --listen' -l listen -r -f -d 'only stdio://, which is the default'
complete -c accountd -n '__accountd_at \'accountd app-server\' --stdio' -l stdio -d 'the same as --listen stdio://'
complete -c accountd -n '__accountd_at \'accountd app-server\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
complete -c accountd -n '__accountd_at \'accountd app-server\' --no-start' -l no-start -d 'do not start a daemon if none is running; exit with 5 instead'

# accountd serve
complete -c accountd -n '__accountd_at \'accountd serve\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd serve\' --listen' -l listen -r -f -d 'unix://PATH, or stdio:// to serve one client (default: the socket of the service manager that starts this, else $ACCOUNTD_SOCKET, else the usual one)'
complete -c accountd -n '__accountd_at \'accountd serve\' --token-socket' -l token-socket -r -f -d 'unix://PATH of a second socket, for containers: it hands out tokens, and nothing else'
complete -c accountd -n '__accountd_at \'accountd serve\' --log-level' -l log-level -r -f -a 'debug info warning error' -d 'how much to log (default: info)'
complete -c accountd -n '__accountd_at \'accountd serve\' --log-format' -l log-format -r -f -a 'text json journald' -d 'how each line is written (default: journald where the journal reads it, else text)'
complete -c accountd -n '__accountd_at \'accountd serve\' --no-audit-log' -l no-audit-log -d 'keep no record of logins and of who was given a token'
complete -c accountd -n '__accountd_at \'accountd serve\' --exit-when-idle' -l exit-when-idle -r -f -d 'end when nobody has been there for so long; only with a socket from systemd or launchd'

# accountd service
complete -c accountd -n '__accountd_at \'accountd service\'' -f -a 'install uninstall status' -d 'install, uninstall or status'
complete -c accountd -n '__accountd_at \'accountd service\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd service\' --dry-run' -l dry-run -d 'say what would be done, and do nothing'

# accountd sandbox
complete -c accountd -n '__accountd_at \'accountd sandbox\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --port' -l port -r -f -d 'listen here (default: any free port)'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --home' -l home -r -f -a '(__fish_complete_directories)' -d 'the CODEX_HOME to prepare and keep (default: a new one, deleted at the end, with its daemon)'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --approve-after' -l approve-after -r -f -d 'approve device logins by itself, after N polls that it lets wait'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --deny' -l deny -d 'deny them instead'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --expire' -l expire -d 'let their codes expire instead'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --disabled' -l disabled -d 'offer no login with a device code'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --authorize' -l authorize -r -f -a 'ask approve deny not_entitled no_code server_error' -d 'what a browser login gets: ask, approve, deny, not_entitled, no_code, server_error; the first, the default, waits for you'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --delay' -l delay -r -f -d 'take S seconds for each answer'
complete -c accountd -n '__accountd_at \'accountd sandbox\' --script' -l script -r -F -d 'all of this and more, as JSON; the options come on top'

# accountd schema
complete -c accountd -n '__accountd_at \'accountd schema\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd schema\' --out' -l out -r -f -a '(__fish_complete_directories)' -d 'the folder to write to; it is created'

# accountd doctor
complete -c accountd -n '__accountd_at \'accountd doctor\' -h --help' -s h -l help -d 'show this help message and exit'
complete -c accountd -n '__accountd_at \'accountd doctor\' --json' -l json -d 'print one JSON object instead'
complete -c accountd -n '__accountd_at \'accountd doctor\' --socket' -l socket -r -F -d 'the daemon\'s Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)'
