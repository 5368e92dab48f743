"""Who touched what: accesses of a program's steps to the objects they share."""
