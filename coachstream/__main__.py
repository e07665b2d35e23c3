"""``python -m coachstream`` is the command ``coachstream``."""

if __name__ == "__main__":
    from coachstream.cli import main

    main()
