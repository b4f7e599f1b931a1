import trio

from accountd.client import Gap, connect
from accountd.protocol.account import AccountLoginProgress, AccountUpdated


async def main() -> None:
    async with connect() as client:
        notifications = client.notifications()  # before the first look, so that nothing falls between
        print((await client.read_account()).account)
        async for notification in notifications:
            match notification:
                case AccountUpdated() | Gap():
                    print((await client.read_account()).account)
                case AccountLoginProgress(state=state):
                    print("a login is", state)


trio.run(main)
