"""Chat models and embedders behind two protocols: local, remote, and scripted for tests."""
