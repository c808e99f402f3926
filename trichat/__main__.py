"""`python -m trichat` is `trichat`."""

from trichat._cli.parser import main

if __name__ == "__main__":
    main()
