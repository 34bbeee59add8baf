"""Builds, checks and times candidates in processes of their own; a crash costs one candidate.

`worker` is the process, `client` talks to it, `measurer` turns candidates into outcomes.
"""
