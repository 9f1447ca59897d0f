"""Elements that NiceGUI does not bring: stars in halves, and a list whose entries move."""
