"""`python -m batchai_recipes.cli`, the same as the command `batchai-recipes`."""

from batchai_recipes.cli import main

if __name__ == "__main__":
    main()
