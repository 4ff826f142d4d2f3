"""Other libraries' parts in our protocols, and ours in theirs. Each module needs the library that it is called after."""
