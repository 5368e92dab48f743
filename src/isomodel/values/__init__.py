"""Plain frozen values: what every other layer reads and writes. They import nothing of ours."""
