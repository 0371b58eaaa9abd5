"""The command line. ``main.py`` holds the table of commands; everything else is loaded when a command is called."""
