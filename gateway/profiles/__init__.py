"""Pure wire codecs, one folder per profile. Bytes become checked values of the model, and back; nothing is asked."""
