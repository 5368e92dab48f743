"""What all tests share: pytester, to see our plugin at work in a pytest of its own."""

pytest_plugins = ["pytester"]
