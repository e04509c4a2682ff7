"""Tags and filters of the pages: figures as text, the parts that pages are made of, the shell around them."""
