# Reads a number and doubles it.
print(int(input()) * 2)
