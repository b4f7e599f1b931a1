"""Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in."""

import sys

import trio

from accountd.client import Gap, connect
from accountd.client.errors import ClientError
from accountd.protocol.account import AccountUpdated, ChatgptAccount


async def main() -> None:
    async with connect(name="example") as client:
        notifications = client.notifications()  # it has all that is said from now on
        async with client.login_device_code() as login:  # whatever leaves the block, such as a timeout, cancels it
            print(f"Open {login.url} and type {login.code}")
            async for progress in login.follow():
                print(f"The login is {progress.state}")
        async for notification in notifications:
            if isinstance(notification, AccountUpdated | Gap):
                account = (await client.read_account()).account
                if account is None:
                    break
                print(f"Logged in as {account.email if isinstance(account, ChatgptAccount) else 'an API key'}")
        print("Nobody is logged in")


try:
    trio.run(main)
except KeyboardInterrupt:
    sys.exit(130)
except ClientError as error:
    sys.exit(f"It did not work: {error}")
