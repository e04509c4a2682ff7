"""The desk's pages: thin doors over queries and services, one file for what a person looks at."""
