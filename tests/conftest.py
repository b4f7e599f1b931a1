"""What every test runs under."""

from hypothesis import HealthCheck, settings

# The same examples on every machine and in every run: a failure is there again the next time, and time is no
# part of it. `--hypothesis-profile=default` looks for new ones.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,  # of each property; the whole suite takes seconds
    suppress_health_check=[HealthCheck.too_slow],  # which is about time as well
)
settings.load_profile("steady")
