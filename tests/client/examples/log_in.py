import trio

from accountd.client import connect


async def main() -> None:
    async with connect() as client:
        async with client.login_device_code() as login:
            print("Open", login.url, "and type", login.code)
            await login.wait()
        print((await client.read_account()).account)
        print((await client.read_rate_limits()).rate_limits.primary)


trio.run(main)
