import asyncio

from accountd.client.aio import connect


async def main() -> None:
    async with connect() as client:
        async with client.login_device_code() as login:
            print("Open", login.url, "and type", login.code)
            async for step in login.follow():
                print("The login is", step["state"])
        print((await client.call("account/read", {}))["account"])


asyncio.run(main())
