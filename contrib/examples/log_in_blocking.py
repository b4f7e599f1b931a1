"""Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in."""

import sys

from accountd.client.blocking import connect
from accountd.client.errors import ClientError


def main() -> None:
    with connect(name="example") as client:
        with client.login_device_code() as login:  # Ctrl-C, or whatever else leaves the block, cancels it
            print(f"Open {login.url} and type {login.code}")
            print(f"The login is {login.progress['state']}")
            login.wait(progressed=lambda progress: print(f"The login is {progress['state']}"))
        for told in client.notifications(timeout=3600):
            if told.method == "account/updated":
                account = client.read_account()["account"]
                if account is None:
                    break
                print(f"Logged in as {account['email'] if account['type'] == 'chatgpt' else account['type']}")
        print("Nobody is logged in")


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
except ClientError as error:
    sys.exit(f"It did not work: {error}")
