import webbrowser

import trio

from accountd.client import connect
from accountd.client.errors import ClientError


async def main() -> None:
    try:
        async with connect(name="my_editor", title="My Editor") as client, client.login_browser() as login:
            webbrowser.open(login.url)
            await login.wait()
            print("logged in")
    except ClientError as error:
        print("not logged in:", error)


trio.run(main)
