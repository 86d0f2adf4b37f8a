"""GraphQL types made of what is declared elsewhere: answers' dataclasses and tables, columns, signatures, enums."""
