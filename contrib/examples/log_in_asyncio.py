"""Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in."""

import asyncio
import sys

from accountd.client.aio import connect
from accountd.client.errors import ClientError


async def main() -> None:
    async with connect(name="example") as client:
        notifications = client.notifications()  # it has all that is said from now on
        async with client.login_device_code() as login:  # whatever leaves the block, such as a timeout, cancels it
            print(f"Open {login.url} and type {login.code}")
            async for progress in login.follow():
                print(f"The login is {progress['state']}")
        async for told in notifications:
            if told.method == "account/updated":
                account = (await client.call("account/read", {}))["account"]
                if account is None:
                    break
                print(f"Logged in as {account.get('email', account['type'])}")
        print("Nobody is logged in")


try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
except ClientError as error:
    sys.exit(f"It did not work: {error}")
