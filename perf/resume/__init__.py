"""Resuming: runs that are killed again and again, compared with runs that are left alone."""
