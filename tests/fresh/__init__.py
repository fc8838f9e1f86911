"""The README's commands on a fresh machine: a bare Debian root that mmdebstrap makes.

    make test-fresh

It needs root, mmdebstrap and about 20 GB of disk, and takes as long as two installations
and one `make test`. What this machine needs to reach its package registries (pip's and
apt's settings, certificates) is taken along; nothing else is.
"""
