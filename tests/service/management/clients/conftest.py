"""The program of 2018 is for another interpreter, and not to be imported by this one."""

collect_ignore = ["batchai_2.py"]
