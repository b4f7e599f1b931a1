"""What a client notices while hostile ones flood the daemon, and what it keeps of them when they have left."""
