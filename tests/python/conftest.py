import profiles

profiles.load()
