from accountd.client.blocking import connect

with connect() as client:
    with client.login_device_code() as login:
        print("Open", login.url, "and type", login.code)
        login.wait()
    print(client.read_account()["account"])
    print(client.read_rate_limits()["rateLimits"]["primary"])
